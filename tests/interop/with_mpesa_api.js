// mpesa-api against the simulator. Its address is built in: the driver takes its connections to the simulator.

const { Mpesa } = require('mpesa-api')
const {
  CUSTOMER, RECIPIENT, LANDLINE, redirect, run, expect, insist, refused, receiver, until, itemsOf, toldBy, utilityAccount
} = require('./harness')

const env = process.env

function client (changes = {}) {
  return new Mpesa({
    clientKey: env.MPESA_CONSUMER_KEY,
    clientSecret: env.MPESA_CONSUMER_SECRET,
    initiatorPassword: env.MPESA_B2C_INITIATOR_PASSWORD,
    certificatePath: env.INTEROP_CERTIFICATE,
    ...changes
  }, 'sandbox')
}

async function refusal (what, call) {
  const { statusCode, data } = await refused(what, call)
  return [statusCode, data.errorCode, data.errorMessage]
}

function merchant () {
  return { BusinessShortCode: env.MPESA_SHORTCODE, passKey: env.MPESA_PASSKEY }
}

function order (posts, changes = {}) {
  return {
    ...merchant(),
    TransactionType: 'CustomerPayBillOnline',
    TransactionDesc: 'Order 1',
    Amount: 10,
    PartyA: CUSTOMER,
    PartyB: env.MPESA_SHORTCODE,
    PhoneNumber: CUSTOMER,
    CallBackURL: posts.url('/stk'),
    AccountReference: 'INV-001',
    ...changes
  }
}

async function token (daraja) {
  const wrong = [400, '400.008.01', 'Invalid Authentication passed']
  expect('wrong secret', await refusal('token', () => client({ clientSecret: 'wrong' }).authenticate()), wrong)
  expect('token', (await daraja.authenticate()).length, 28)
}

async function push (daraja, posts) {
  const ring = (changes) => daraja.lipaNaMpesaOnline(order(posts, changes))
  const named = (field) => [400, '400.002.02', `Bad Request - Invalid ${field}`]
  const type = { TransactionType: undefined }
  expect('push of its own type, which ends in a space', await refusal('push', () => ring(type)), named('TransactionType'))
  const words = { TransactionDesc: undefined }
  expect('push with its own description, of 20 characters', await refusal('push', () => ring(words)),
    named('TransactionDesc'))
  const landline = { PartyA: LANDLINE, PhoneNumber: LANDLINE }
  expect('push to a landline', await refusal('push', () => ring(landline)), named('PhoneNumber'))
  const accepted = await ring()
  expect('push', accepted.ResponseCode, '0')
  const query = () => daraja.lipaNaMpesaQuery({ ...merchant(), CheckoutRequestID: accepted.CheckoutRequestID })
  expect('query while the prompt is open', (await query()).ResultCode, '4999')
  expect('second query within 12 s', (await refusal('query', query))[0], 429)

  const callback = await posts.wait('/stk')
  const { CheckoutRequestID, ResultCode } = callback.Body.stkCallback
  expect('callback', [ResultCode, CheckoutRequestID === accepted.CheckoutRequestID], [0, true])
  const { Amount, PhoneNumber, MpesaReceiptNumber } = itemsOf(callback)
  expect('callback, items', [Amount, PhoneNumber, MpesaReceiptNumber.length], [10, Number(CUSTOMER), 10])
  const paid = await until('query', 15, () => query().catch((error) => {
    insist('query too soon', error.statusCode, 429)
  }))
  expect('query afterwards', paid.ResultCode, '0')
}

async function payouts (daraja, posts) {
  const pay = (payer, PartyB, path) => payer.b2c({
    Initiator: env.MPESA_B2C_INITIATOR_NAME,
    CommandID: 'BusinessPayment',
    Amount: 40,
    PartyA: env.MPESA_B2C_SHORTCODE,
    PartyB,
    Remarks: 'Refund',
    QueueTimeOutURL: posts.url('/timeout'),
    ResultURL: posts.url(path)
  })
  expect('payout', (await pay(daraja, RECIPIENT, '/paid')).ResponseCode, '0')
  expect('payout to a landline', await refusal('payout', () => pay(daraja, LANDLINE, '/none')),
    [400, '400.002.02', 'Bad Request - Invalid PartyB'])
  const wrong = client({ securityCredential: 'wrong' })
  expect('payout with another credential', (await pay(wrong, RECIPIENT, '/wrong')).ResponseCode, '0')
  const result = await posts.wait('/paid')
  expect('payout, result', [result.Result.ResultCode, toldBy(result).TransactionAmount], [0, 40])
  expect('payout with another credential, result', (await posts.wait('/wrong')).Result.ResultCode, 2001)
}

async function ledger (daraja, posts) {
  const asked = await daraja.accountBalance({
    Initiator: env.MPESA_B2C_INITIATOR_NAME,
    PartyA: env.MPESA_B2C_SHORTCODE,
    QueueTimeOutURL: posts.url('/timeout'),
    ResultURL: posts.url('/balance')
  })
  expect('balance', asked.ResponseCode, '0')
  expect('the ledger: one push of KES 10 came in, one payout of 40 went out', utilityAccount(await posts.wait('/balance')),
    '999970.00')
}

// It counts characters where Content-Length counts bytes: the end of the body is cut off, and it is no JSON any more.
async function words (daraja, posts) {
  expect('push with a description that is not ASCII',
    await refusal('push', () => daraja.lipaNaMpesaOnline(order(posts, { TransactionDesc: 'Café' }))),
    [400, '400.002.05', 'Invalid Request Payload'])
}

async function main () {
  redirect()
  const [daraja, posts] = [client(), await receiver()]
  await token(daraja)
  await push(daraja, posts)
  await payouts(daraja, posts)
  await ledger(daraja, posts)
  await words(daraja, posts)
}

run(main)
