// What the JavaScript drivers share: the simulator's settings, a receiver of what it posts, and literal expectations.

const http = require('node:http')
const https = require('node:https')
const net = require('node:net')
const { isDeepStrictEqual } = require('node:util')

const simulator = new URL(process.env.MPESA_BASE_URL)
const PATIENCE = 30_000

// Takes what is meant for the sandbox to the simulator, for clients that have the address built in. The request is
// theirs to the byte; the connection is another one, and not encrypted.
function redirect () {
  https.globalAgent.createConnection = (options) => {
    insist('host', options.host, 'sandbox.safaricom.co.ke')
    return net.connect(simulator.port, simulator.hostname)
  }
}

function expect (what, actual, expected) {
  insist(what, actual, expected)
  console.log(`  ${what}: ${JSON.stringify(expected)}`)
}

function insist (what, actual, expected) {
  if (isDeepStrictEqual(actual, expected)) return
  throw new Error(`${what}:\n  expected ${JSON.stringify(expected)}\n  found    ${JSON.stringify(actual)}`)
}

// Runs a driver. A client may reject with something that is no Error, and leave connections open that keep node running.
function run (driver) {
  driver().then(() => process.exit(0), (error) => {
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  })
}

// What a call was refused with.
async function refused (what, call) {
  let answer
  try {
    answer = await call()
  } catch (refusal) {
    return refusal
  }
  throw new Error(`${what}: it was not refused, but answered ${JSON.stringify(answer)}`)
}

// A loopback address that takes whatever is posted to it.
async function receiver () {
  const posts = {}
  const waiting = []
  const server = http.createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      posts[request.url] = [...(posts[request.url] || []), JSON.parse(Buffer.concat(chunks))]
      response.setHeader('content-type', 'application/json')
      response.end('{"ResultCode":0,"ResultDesc":"Accepted"}')
      waiting.filter((waiter) => posts[waiter.path]).forEach((waiter) => waiter.done(posts[waiter.path][0]))
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const wait = (path) => new Promise((resolve, reject) => {
    if (posts[path]) return resolve(posts[path][0])
    const late = setTimeout(() => reject(new Error(`${path}: nothing came in ${PATIENCE} ms`)), PATIENCE)
    waiting.push({ path, done: (body) => { clearTimeout(late); resolve(body) } })
  })
  return { url: (path) => `http://127.0.0.1:${server.address().port}${path}`, wait }
}

// Asks once a second until there is an answer: the app may query once in 12 s.
async function until (what, seconds, ask) {
  for (let second = 0; second < seconds; second++) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await new Promise((resolve) => setTimeout(resolve, 1_000))
  }
  throw new Error(`${what}: no answer in ${seconds} s`)
}

// What a paid callback tells, by name.
function itemsOf (callback) {
  return Object.fromEntries(callback.Body.stkCallback.CallbackMetadata.Item.map((item) => [item.Name, item.Value]))
}

// What a result tells, by key.
function toldBy (result) {
  return Object.fromEntries(result.Result.ResultParameters.ResultParameter.map((item) => [item.Key, item.Value]))
}

// What the utility account holds, which payouts are made from.
function utilityAccount (result) {
  const accounts = toldBy(result).AccountBalance.split('&').map((entry) => entry.split('|'))
  return accounts.find(([name]) => name === 'Utility Account')[2]
}

module.exports = {
  CUSTOMER: '254700000050',
  RECIPIENT: '254700000060',
  // Nairobi's landlines: twelve digits, and no line that could be rung.
  LANDLINE: '254200000000',
  redirect,
  run,
  expect,
  insist,
  refused,
  receiver,
  until,
  itemsOf,
  toldBy,
  utilityAccount
}
