// js-libp2p as the other end of test_interop_js.py.
//
//   node peer.js listen       say {ready, address}; serve identify, ping and /echo/1.0.0; end with standard input
//   node peer.js dial ADDR    dial, identify, ping, echo twice; say {ok, …}
import './older_node.js'
import { noise } from '@libp2p/noise'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const ECHO = '/echo/1.0.0'
const SIZE = 3 * 1024 * 1024 + 17

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')

async function open (listen) {
  return await createLibp2p({
    privateKey: await generateKeyPair('secp256k1'),
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify({ runOnConnectionOpen: listen.length > 0 }), ping: ping() }
  })
}

const bytesOf = (chunk) => chunk instanceof Uint8Array ? chunk : chunk.subarray()

async function sendAll (stream, data) {
  for (let at = 0; at < data.length; at += 65536) {
    if (!stream.send(data.subarray(at, at + 65536))) {
      await stream.onDrain()
    }
  }
}

async function echo (node, connection) {
  const data = new Uint8Array(SIZE)
  for (let i = 0; i < SIZE; i++) data[i] = (i * 7 + (i >> 8)) & 255
  const stream = await connection.newStream(ECHO)
  const sent = sendAll(stream, data)
  let at = 0
  for await (const chunk of stream) {
    for (const byte of bytesOf(chunk)) {
      if (byte !== data[at]) throw new Error(`byte ${at} came back as ${byte}, not ${data[at]}`)
      at++
    }
    if (at === SIZE) break
  }
  await sent
  if (at !== SIZE) throw new Error(`${at} of ${SIZE} bytes came back`)
  await stream.close()
  return at
}

async function dial (address) {
  const node = await open([])
  const connection = await node.dial(multiaddr(address))
  const identified = await node.services.identify.identify(connection)
  const rtt = await node.services.ping.ping(connection.remotePeer)
  const first = await echo(node, connection)
  const second = await echo(node, connection)
  say({ ok: true, protocols: identified.protocols, rtt, echoed: first + second, muxer: connection.multiplexer, encryption: connection.encryption })
  await node.stop()
}

async function listen () {
  const node = await open(['/ip4/127.0.0.1/tcp/0'])
  await node.handle(ECHO, async (stream) => {
    for await (const chunk of stream) {
      await sendAll(stream, bytesOf(chunk))
    }
    await stream.close()
  })
  say({ ready: node.peerId.toString(), address: node.getMultiaddrs()[0].toString() })
  process.stdin.resume()
  await new Promise((resolve) => process.stdin.on('end', resolve))
  await node.stop()
}

try {
  const [mode, address] = process.argv.slice(2)
  await (mode === 'dial' ? dial(address) : listen())
  process.exit(0)
} catch (error) {
  say({ ok: false, error: String(error?.stack ?? error) })
  process.exit(1)
}
