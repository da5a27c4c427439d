// Fetches a model's files and offers from a Hallmark peer, and believes nothing of what it says:
//
//   node fetch.js PEER_ADDRESS NETWORK_FILE MODEL_CID [FOLDER]
//
// What is on the wire is in docs/protocol.md: frames, `blobs`, `catalogue`, signed structs.
import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { decode, encode } from '@msgpack/msgpack'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { blake3 } from '@noble/hashes/blake3.js'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { addressOf, readNetwork } from './signed.js'

const RECORD = 1, DATA = 2, ERROR = 3
const MOST = { [RECORD]: 262_144, [DATA]: 1_048_576, [ERROR]: 4_096 } // bytes of a frame's payload
const [address, networkFile, cid, folder = '.'] = process.argv.slice(2)
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const check = (holds, otherwise) => { if (!holds) throw new Error(otherwise) }
const same = (left, right) => Buffer.compare(left, right) === 0
const network = readNetwork(await readFile(networkFile, 'utf8'))

// One stream of one of the network's protocols, on which exchanges follow each other.
async function channel (connection, protocol) {
  const stream = await connection.newStream(`/hallmark/${network.name}/${protocol}/1`)
  const chunks = stream[Symbol.asyncIterator]()
  let held = Buffer.alloc(0)
  async function take (size) {
    while (held.length < size) {
      const { value, done } = await chunks.next()
      check(!done, 'the peer ended the stream')
      held = Buffer.concat([held, value.subarray()])
    }
    const taken = held.subarray(0, size)
    held = held.subarray(size)
    return taken
  }
  async function frame (kind) {
    const head = await take(5)
    const size = head.readUInt32BE(1)
    check(size <= (MOST[head[0]] ?? -1), `a frame of kind ${head[0]} with ${size} bytes`)
    const payload = await take(size)
    if (head[0] === ERROR) throw new Error(`the peer says: ${decode(payload).message}`)
    check(head[0] === kind, `a frame of kind ${head[0]}, not ${kind}`)
    return payload
  }
  return {
    async ask (request) {
      const payload = encode(request)
      const head = Buffer.alloc(5)
      head.writeUInt8(RECORD)
      head.writeUInt32BE(payload.length, 1)
      stream.send(Buffer.concat([head, payload]))
    },
    record: async () => decode(await frame(RECORD)),
    async data (size) { // in as many frames as it takes
      const parts = []
      for (let left = size; left > 0; left -= parts.at(-1).length) parts.push(await frame(DATA))
      check(Buffer.concat(parts).length === size, 'more bytes than were announced')
      return Buffer.concat(parts)
    }
  }
}

// A file, chunk by chunk, each checked against the outline that the file's name is the hash of.
async function * contents (blobs, { blob, size, path }) {
  await blobs.ask({ type: 'outline', blob })
  const encoded = await blobs.data((await blobs.record()).size)
  check(same(blake3(encoded), blob), `the outline of ${path} is another`)
  const outline = decode(encoded)
  const hashes = Array.from({ length: outline.chunks.length / 32 }, (_, i) => outline.chunks.subarray(32 * i, 32 * i + 32))
  check(outline.size === size && hashes.length === Math.ceil(size / outline.chunk_size), `the outline of ${path} contradicts itself`)
  for (let first = 0; first < hashes.length; first += 16) {
    const wanted = hashes.slice(first, first + 16)
    await blobs.ask({ type: 'chunks', hashes: wanted })
    for (const [i, hash] of wanted.entries()) {
      const chunk = await blobs.data(Math.min(outline.chunk_size, size - (first + i) * outline.chunk_size))
      check(same(blake3(chunk), hash), `chunk ${first + i} of ${path} has other bytes than its hash`)
      yield chunk
    }
  }
}

const node = await createLibp2p({ transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()] })
const connection = await node.dial(multiaddr(address))
const model = CID.parse(cid).multihash.digest

const blobs = await channel(connection, 'blobs')
await blobs.ask({ type: 'manifest', model })
const { body, signature } = await blobs.record()
check(same(blake3(body), model), 'the manifest is of another model')
const manifest = decode(body)
check(network.isSigned('Manifest(address publisher,bytes32 manifest)', manifest.publisher, body, signature), 'its publisher did not sign it')
console.log(`${manifest.name}@${manifest.version} by 0x${hex(manifest.publisher)}, signature good`)

for (const file of manifest.files) {
  check(!file.path.split('/').some((part) => part === '' || part === '..'), `the path ${file.path} leads elsewhere`)
  await mkdir(dirname(join(folder, file.path)), { recursive: true })
  const out = await open(join(folder, file.path), 'w')
  for await (const chunk of contents(blobs, file)) await out.write(chunk)
  await out.close()
  console.log(`${file.path}: ${file.size} bytes, every chunk verified`)
}

const catalogue = await channel(connection, 'catalogue')
await catalogue.ask({ type: 'offers', model })
for (const { body, signature } of (await catalogue.record()).entries) {
  const offer = decode(body)
  const good = same(offer.model, model) && Date.now() < Number(offer.expires_ms) &&
    network.isSigned('Offer(address provider,bytes32 offer)', addressOf(offer.peer), body, signature)
  check(good, 'an offer that is not signed by its provider, expired, or of another model')
  const tiers = offer.tiers.map(({ tier, price }) => `${tier} for ${BigInt('0x' + (hex(price) || '0'))}`)
  console.log(`offered by 0x${hex(addressOf(offer.peer))} at ${offer.addresses.join(', ')}: ${tiers.join(', ')}, signature good`)
}
await node.stop()
