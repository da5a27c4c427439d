"""The x402 package, as an independent word on the payment scheme's digests. Only what needs no RPC is used of it.

Its `evm` module imports web3 for signers that talk to a node. Nothing here does, so two empty names stand in for it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import msgspec

from wire.payment import ChannelConfig


def _without_web3() -> tuple[Any, ...]:
    absent = "web3" not in sys.modules
    if absent:
        web3, middleware = ModuleType("web3"), ModuleType("web3.middleware")
        web3.Web3 = middleware.ExtraDataToPOAMiddleware = object  # type: ignore[attr-defined]
        sys.modules |= {"web3": web3, "web3.middleware": middleware}
    try:
        from x402.mechanisms.evm.batch_settlement import authorizer_signer, types, utils
        from x402.mechanisms.evm.batch_settlement.client import voucher
        from x402.mechanisms.evm.signers import EthAccountSigner
    finally:
        if absent:
            del sys.modules["web3"], sys.modules["web3.middleware"]
    return authorizer_signer, types, utils, voucher, EthAccountSigner


authorizer_signer, types, utils, voucher, EthAccountSigner = _without_web3()


def their_config(config: ChannelConfig) -> Any:
    """Our record in their class, whose fields have the same names."""
    return types.ChannelConfig(
        **{k: "0x" + v.hex() if isinstance(v, bytes) else v for k, v in msgspec.structs.asdict(config).items()}
    )
