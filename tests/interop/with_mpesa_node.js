// mpesa-node against the simulator. Its address is built in: the driver takes its connections to the simulator.

const Mpesa = require('mpesa-node')
const {
  CUSTOMER, RECIPIENT, LANDLINE, redirect, run, expect, insist, refused, receiver, until, itemsOf, toldBy, utilityAccount
} = require('./harness')

const env = process.env

function client (changes = {}) {
  return new Mpesa({
    consumerKey: env.MPESA_CONSUMER_KEY,
    consumerSecret: env.MPESA_CONSUMER_SECRET,
    environment: 'sandbox',
    lipaNaMpesaShortCode: env.MPESA_SHORTCODE,
    lipaNaMpesaShortPass: env.MPESA_PASSKEY,
    shortCode: env.MPESA_B2C_SHORTCODE,
    initiatorName: env.MPESA_B2C_INITIATOR_NAME,
    securityCredential: env.MPESA_B2C_INITIATOR_PASSWORD,
    certPath: env.INTEROP_CERTIFICATE,
    ...changes
  })
}

async function refusal (what, call) {
  const { response } = await refused(what, call)
  return [response.status, response.data.errorCode, response.data.errorMessage]
}

async function token (daraja) {
  const wrong = [400, '400.008.01', 'Invalid Authentication passed']
  expect('wrong secret', await refusal('token', () => client({ consumerSecret: 'wrong' }).oAuth()), wrong)
  const { data } = await daraja.oAuth()
  expect('token', [data.access_token.length, data.expires_in], [28, '3599'])
}

async function push (daraja, posts) {
  const ring = (number, ...more) => daraja.lipaNaMpesaOnline(number, 10, posts.url('/stk'), 'INV-001', ...more)
  expect('push with its own description, of 20 characters', await refusal('push', () => ring(CUSTOMER)),
    [400, '400.002.02', 'Bad Request - Invalid TransactionDesc'])
  expect('push to a landline', await refusal('push', () => ring(LANDLINE, 'Order 1')),
    [400, '400.002.02', 'Bad Request - Invalid PhoneNumber'])
  const accepted = await ring(Number(CUSTOMER), 'Order 1')
  expect('push', [accepted.status, accepted.data.ResponseCode], [200, '0'])
  const id = accepted.data.CheckoutRequestID
  const open = await daraja.lipaNaMpesaQuery(id)
  expect('query while the prompt is open', [open.status, open.data.ResultCode], [200, '4999'])
  expect('second query within 12 s', (await refusal('query', () => daraja.lipaNaMpesaQuery(id)))[0], 429)

  const callback = await posts.wait('/stk')
  const { CheckoutRequestID, ResultCode } = callback.Body.stkCallback
  expect('callback', [ResultCode, CheckoutRequestID === id], [0, true])
  const { Amount, PhoneNumber, MpesaReceiptNumber } = itemsOf(callback)
  expect('callback, items', [Amount, PhoneNumber, MpesaReceiptNumber.length], [10, Number(CUSTOMER), 10])
  const paid = await until('query', 15, () => daraja.lipaNaMpesaQuery(id).catch((error) => {
    insist('query too soon', error.response.status, 429)
  }))
  expect('query afterwards', [paid.status, paid.data.ResultCode], [200, '0'])
}

async function payouts (daraja, posts) {
  const pay = (payer, recipient, path) =>
    payer.b2c(env.MPESA_B2C_SHORTCODE, recipient, 40, posts.url('/timeout'), posts.url(path))
  expect('payout', (await pay(daraja, RECIPIENT, '/paid')).data.ResponseCode, '0')
  expect('payout to a landline', await refusal('payout', () => pay(daraja, LANDLINE, '/none')),
    [400, '400.002.02', 'Bad Request - Invalid PartyB'])
  const wrong = client({ securityCredential: 'wrong' })
  expect('payout with another password', (await pay(wrong, RECIPIENT, '/wrong')).data.ResponseCode, '0')
  const result = await posts.wait('/paid')
  expect('payout, result', [result.Result.ResultCode, toldBy(result).TransactionAmount], [0, 40])
  expect('payout with another password, result', (await posts.wait('/wrong')).Result.ResultCode, 2001)
}

async function ledger (daraja, posts) {
  const asked = await daraja.accountBalance(env.MPESA_B2C_SHORTCODE, 4, posts.url('/timeout'), posts.url('/balance'))
  expect('balance', asked.data.ResponseCode, '0')
  expect('the ledger: one push of KES 10 came in, one payout of 40 went out', utilityAccount(await posts.wait('/balance')),
    '999970.00')
}

async function main () {
  redirect()
  const [daraja, posts] = [client(), await receiver()]
  await token(daraja)
  await push(daraja, posts)
  await payouts(daraja, posts)
  await ledger(daraja, posts)
}

run(main)
