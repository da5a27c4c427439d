"""Intel SGX and TDX: a DCAP quote against Intel's signed collateral, with `dcap-qvl`.

The library checks the quote's signatures up to Intel's root (which it holds), revocation lists, the quoting enclave's
identity and the TCB level, all at the time given. What is acceptable is not left to it: its `verify` passes states such
as ConfigurationAndSWHardeningNeeded, so only its facts are taken, and `teepolicy` allows each state and trait by name.
Sources: Intel's "SGX DCAP ECDSA quote generation" and "TDX DCAP quoting library API"; the PCS API, v4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from wire.attestation import MAX_TCB_INFO, Collateral, IntelCollateral, Platform, TeeKind
from wire.cid import content_hash
from wire.errors import RecordError
from wire.jsontext import read_json

from .attested import Attested, BadQuote

_TRAITS = {"dynamic_platform": "dynamic-platform", "cached_keys": "cached-keys", "smt_enabled": "smt"}
_SGX_DEBUG = 0x02  # ATTRIBUTES.DEBUG
TDX_REGISTERS = ("mr_td", "rt_mr0", "rt_mr1", "rt_mr2", "rt_mr3")


def read_intel(kind: TeeKind, quote: bytes, collateral: Collateral | None, at_s: int) -> Attested:
    """What the quote says, as of `at_s`; BadQuote when it does not hold then, or is of the other kind."""
    if not isinstance(collateral, IntelCollateral):
        raise BadQuote("an Intel quote needs Intel's collateral")
    claims = _claims(quote, collateral, at_s)
    found: TeeKind = "sgx" if "SgxEnclave" in claims["report"] else "tdx"
    if found != kind:
        raise BadQuote(f"the quote is of {found}, not of {kind}")
    report = next(iter(claims["report"].values()))
    level, pck, qe = claims["platform"]["tcb_level"], claims["platform"]["pck"], claims["qe"]["tcb_level"]
    return Attested(
        kind=kind,
        maker=f"an Intel {kind.upper()} quote",
        good_from_s=max(claims["latest_issue_date"], claims["qe_iden_latest_issue_date"]),
        good_until_s=min(claims["earliest_expiration_date"], claims["qe_iden_earliest_expiration_date"]),
        tcb=claims["tcb"]["status"],
        tcb_date=min(level["tcbDate"], qe["tcbDate"])[:10],
        advisories=tuple(claims["tcb"]["advisory_ids"]),
        traits=tuple(name for field, name in _TRAITS.items() if pck[field] == "True"),
        **(_sgx(report) if kind == "sgx" else _tdx(report)),
    )


def platform_of(quote: bytes) -> str:
    """The kind of platform whose collateral the quote needs, "tdx-b0c06f000000"; BadQuote when it has none."""
    import dcap_qvl

    try:
        parsed = dcap_qvl.parse_quote(quote)
        return _platform(parsed.quote_type(), parsed.fmspc())
    except BaseException as error:
        _raise(error)


def collateral_platform(collateral: IntelCollateral) -> str:
    """The kind of platform that the collateral claims to be of, in the same words; BadQuote when unreadable."""
    try:
        info = read_json(collateral.tcb_info, MAX_TCB_INFO, "the TCB info")
        return _platform(info["id"], info["fmspc"])
    except (RecordError, ValueError, TypeError, KeyError) as error:
        raise BadQuote("the collateral is not Intel's") from error


def _platform(kind: str, fmspc: str) -> str:
    return msgspec.convert(f"{kind}-{fmspc}".lower(), Platform)


def read_collateral(data: bytes) -> IntelCollateral:
    """Collateral from the JSON that PCS clients write (hexadecimal where it is binary); BadQuote when it is none."""
    try:
        fields = read_json(data, 16 * MAX_TCB_INFO, "the collateral")
        return IntelCollateral(
            **{
                name: bytes.fromhex(fields[name]) if name in _BINARY else fields[name].encode()
                for name in IntelCollateral.__struct_fields__
            }
        )
    except (RecordError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadQuote("this is no collateral: it has nine named entries, as a PCS client writes them") from error


_BINARY = {"root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature"}


def _claims(quote: bytes, collateral: IntelCollateral, at_s: int) -> Mapping[str, Any]:
    import dcap_qvl

    try:
        given = dcap_qvl.QuoteCollateralV3(
            **{
                name: value if name in _BINARY else value.decode()
                for name in IntelCollateral.__struct_fields__
                if isinstance(value := getattr(collateral, name), bytes)
            }
        )
        facts = dcap_qvl.QuotePolicy.claims_only(at_s)
        claims: Mapping[str, Any] = json.loads(
            dcap_qvl.QuoteVerifier().verify_with_policy(quote, given, at_s, facts).to_json()
        )
        return claims
    except BaseException as error:
        _raise(error)


def _raise(error: BaseException) -> NoReturn:
    """A Rust panic comes as a BaseException of its own kind; to us it is one more quote that is none."""
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        text = str(error).removeprefix("Verification failed: ") or type(error).__name__
        raise BadQuote(f"Intel's chain does not hold: {text[:160]}") from error
    raise error


def _sgx(report: Mapping[str, str]) -> dict[str, Any]:
    enclave, signer = bytes.fromhex(report["mr_enclave"]), bytes.fromhex(report["mr_signer"])
    return {
        "measurement": enclave,
        "registers": (("MRENCLAVE", enclave), ("MRSIGNER", signer)),
        "report_data": bytes.fromhex(report["report_data"]),
        "debug": bool(bytes.fromhex(report["attributes"])[0] & _SGX_DEBUG),
    }


def _tdx(report: Mapping[str, Any]) -> dict[str, Any]:
    report = report.get("base", report)  # later layouts hold the first one
    values = [bytes.fromhex(report[name]) for name in TDX_REGISTERS]
    return {
        "measurement": content_hash(b"hallmark tdx 1" + b"".join(values)),
        "registers": tuple(zip(("MRTD", "RTMR0", "RTMR1", "RTMR2", "RTMR3"), values, strict=True)),
        "report_data": bytes.fromhex(report["report_data"]),
        "debug": bytes.fromhex(report["td_attributes"])[0] != 0,  # the group TUD: off-TD debug, and what is reserved
    }
