// js-libp2p as the other end of the tests in this folder: nodes in one process, told what to do line by line.
//
// A line of standard input is {id, call, …}; one of standard output is {id, …result}, {id, error}, or {event, …}.
import './older_node.js'
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'

const PIECE = 65536
const nodes = []

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const bytes = (text) => new Uint8Array(Buffer.from(text, 'hex'))
const flat = (chunk) => chunk instanceof Uint8Array ? chunk : chunk.subarray()

async function send (stream, data) {
  for (let at = 0; at < data.length; at += PIECE) {
    if (!stream.send(data.subarray(at, at + PIECE))) await stream.onDrain()
  }
}

// so many bytes that no two pieces of are alike, and their hash
async function pour (stream, size) {
  const hash = createHash('sha256')
  const piece = Buffer.alloc(PIECE, 7)
  for (let at = 0; at < size; at += PIECE) {
    const part = Buffer.from(piece.subarray(0, Math.min(PIECE, size - at)))
    part.writeUInt32BE(at)
    hash.update(part)
    if (!stream.send(part)) await stream.onDrain()
  }
  await stream.close()
  return hash.digest('hex')
}

async function drain (stream) {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of stream) {
    for (const part of chunk instanceof Uint8Array ? [chunk] : chunk) {
      hash.update(part)
      size += part.length
    }
  }
  return { size, hash: hash.digest('hex') }
}

async function query (events, name) {
  const found = []
  for await (const event of events) {
    if (event.name === name) found.push(event)
  }
  return found
}

// of values like those of test_records.py: KEY, 0, a rank of four bytes
const rank = (value) => Buffer.from(value).readUInt32BE(value.indexOf(0) + 1)

const calls = {
  // kad: the DHT's id, or none; key: its kind; listen: addresses; relay: whether to be one; gossip, circuits: whether to
  async open ({ kad, key = 'secp256k1', listen = ['/ip4/127.0.0.1/tcp/0'], relay = false, gossip = false, circuits = false }) {
    const services = { identify: identify(), ping: ping() }
    if (kad != null) {
      services.dht = kadDHT({
        protocol: kad,
        clientMode: listen.length === 0,
        peerInfoMapper: passthroughMapper,
        validators: { hallmark: () => {} },
        selectors: { hallmark: (_, values) => values.reduce((best, value, i) => rank(value) > rank(values[best]) ? i : best, 0) }
      })
    }
    if (gossip) services.pubsub = gossipsub({ allowPublishToZeroTopicPeers: true, runOnLimitedConnection: true })
    if (relay) services.relay = circuitRelayServer({ reservations: { applyDefaultLimit: false } })
    const node = await createLibp2p({
      privateKey: await generateKeyPair(key),
      addresses: { listen },
      transports: circuits ? [tcp(), circuitRelayTransport()] : [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionGater: { denyDialMultiaddr: () => false },
      services
    })
    if (kad != null && listen.length > 0) await node.services.dht.setMode('server')
    const limited = { runOnLimitedConnection: true }
    await node.handle('/test/echo/1', async (stream) => {
      for await (const chunk of stream) await send(stream, flat(chunk))
      await stream.close()
    }, limited)
    await node.handle('/test/drain/1', async (stream) => {
      const said = await drain(stream)
      stream.send(bytes(said.hash))
      await stream.close()
    }, limited)
    await node.handle('/test/pour/1', async (stream) => { await pour(stream, 100 * 1024 * 1024) }, limited)
    node.services.pubsub?.addEventListener('gossipsub:message', ({ detail: { msg } }) => {
      say({ event: 'heard', node: number, topic: msg.topic, data: hex(msg.data), author: msg.from.toString() })
    })
    const number = nodes.push(node) - 1
    return { node: number, peer: node.peerId.toString(), addresses: node.getMultiaddrs().map(String) }
  },

  async addresses ({ node }) {
    return { addresses: nodes[node].getMultiaddrs().map(String) }
  },

  async dial ({ node, address }) {
    const connection = await nodes[node].dial(multiaddr(address), { signal: AbortSignal.timeout(10_000) })
    return { peer: connection.remotePeer.toString(), at: connection.remoteAddr.toString(), muxer: connection.multiplexer, encryption: connection.encryption }
  },

  async identified ({ node, peer }) {
    const { protocols } = await nodes[node].peerStore.get(peerIdFromString(peer))
    return { protocols }
  },

  async ping ({ node, peer }) {
    return { rtt: await nodes[node].services.ping.ping(peerIdFromString(peer)) }
  },

  async echo ({ node, peer, data }) {
    const stream = await nodes[node].dialProtocol(peerIdFromString(peer), '/test/echo/1', { runOnLimitedConnection: true })
    stream.send(bytes(data))
    await stream.close()
    const parts = []
    for await (const chunk of stream) parts.push(flat(chunk))
    return { data: hex(Buffer.concat(parts)) }
  },

  async pour ({ node, peer, size }) {
    const stream = await nodes[node].dialProtocol(peerIdFromString(peer), '/test/drain/1', { runOnLimitedConnection: true })
    const parts = []
    const reading = (async () => { for await (const chunk of stream) parts.push(flat(chunk)) })()
    const hash = await pour(stream, size)
    await reading
    return { hash, back: hex(Buffer.concat(parts)) }
  },

  async drain ({ node, peer }) {
    const stream = await nodes[node].dialProtocol(peerIdFromString(peer), '/test/pour/1', { runOnLimitedConnection: true })
    return await drain(stream)
  },

  async subscribe ({ node, topic }) {
    nodes[node].services.pubsub.subscribe(topic)
    return {}
  },

  async subscribers ({ node, topic }) {
    return { peers: nodes[node].services.pubsub.getSubscribers(topic).map(String) }
  },

  async publish ({ node, topic, data }) {
    const { recipients } = await nodes[node].services.pubsub.publish(topic, bytes(data))
    return { recipients: recipients.map(String) }
  },

  async table ({ node }) {
    return { peers: [...nodes[node].services.dht.routingTable.kb.toIterable()].map(({ peerId }) => peerId.toString()) }
  },

  async provide ({ node, cid }) {
    await query(nodes[node].services.dht.provide(CID.parse(cid), { signal: AbortSignal.timeout(10_000) }), '')
    return {}
  },

  async providers ({ node, cid }) {
    const found = await query(nodes[node].services.dht.findProviders(CID.parse(cid), { signal: AbortSignal.timeout(10_000) }), 'PROVIDER')
    return { peers: [...new Set(found.flatMap(({ providers }) => providers.map(({ id }) => id.toString())))] }
  },

  async put ({ node, key, value }) {
    await query(nodes[node].services.dht.put(bytes(key), bytes(value), { signal: AbortSignal.timeout(10_000) }), '')
    return {}
  },

  async get ({ node, key }) {
    const [best] = await query(nodes[node].services.dht.get(bytes(key), { signal: AbortSignal.timeout(10_000) }), 'VALUE')
    return { value: best == null ? null : hex(best.value) }
  },

  async locate ({ node, peer }) {
    const [found] = await query(nodes[node].services.dht.findPeer(peerIdFromString(peer), { signal: AbortSignal.timeout(10_000) }), 'FINAL_PEER')
    return { addresses: found == null ? [] : found.peer.multiaddrs.map(String) }
  },

  async close ({ node }) {
    await nodes[node].stop()
    return {}
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, ...options } = JSON.parse(line)
  calls[call](options).then(
    (result) => say({ id, ...result }),
    (error) => say({ id, error: String(error?.stack ?? error) })
  )
}
process.exit(0)
