// Who signed what on a Hallmark network: EIP-712 digests and recovered secp256k1 keys (docs/protocol.md, "Signed structs").
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { blake3 } from '@noble/hashes/blake3.js'
import { keccak_256 as keccak } from '@noble/hashes/sha3.js'

const word = (bytes) => Buffer.concat([Buffer.alloc(32 - bytes.length), bytes])
const struct = (type, ...words) => keccak(Buffer.concat([keccak(Buffer.from(type)), ...words]))

export const addressOf = (key) => keccak(secp256k1.Point.fromBytes(key).toBytes(false).subarray(1)).subarray(12)

// The network's name and `isSigned`, bound to its domain; `text` is its file's, of which three lines are read.
export function readNetwork (text) {
  const value = (name) => new RegExp(`^${name}\\s*=\\s*"?([^"\\s]+)`, 'm').exec(text)[1]
  const separator = struct(
    'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)',
    keccak(Buffer.from('Hallmark')), keccak(Buffer.from('1')),
    Buffer.from(BigInt(value('chain_id')).toString(16).padStart(64, '0'), 'hex'),
    word(Buffer.from(value('contract').slice(2), 'hex'))
  )
  // Whether the owner of this EVM address signed this record's bytes.
  function isSigned (type, owner, body, signature) {
    const digest = keccak(Buffer.concat([Buffer.from([0x19, 0x01]), separator, struct(type, word(owner), blake3(body))]))
    const ordered = Buffer.concat([signature.subarray(64), signature.subarray(0, 64)]) // noble has the recovery id first
    return Buffer.compare(addressOf(secp256k1.recoverPublicKey(ordered, digest, { prehash: false })), owner) === 0
  }
  return { name: value('name'), isSigned }
}
