"""Licences: an SPDX expression, spelt as the standard spells it, or a sentence with what was probably meant."""

from __future__ import annotations

import difflib
import re

from .errors import CommandError, Exit

MANY = "See https://spdx.org/licenses for all of them; for one of your own say LicenseRef-NAME."


def check_licence(text: str) -> str:
    """`text` as SPDX writes it; CommandError when it is no expression of known identifiers."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression  # a long table
    from packaging.licenses._spdx import EXCEPTIONS, LICENSES

    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        known = {key: str(entry["id"]) for key, entry in {**LICENSES, **EXCEPTIONS}.items()}
        words = [word for word in re.findall(r"[\w.+\-]+", text.lower()) if word not in ("and", "or", "with")]
        odd = next((word for word in words if word.removesuffix("+") not in known), "")
        near = [known[key] for key in difflib.get_close_matches(odd, known, n=3)] if odd else []
        meant = f"Did you mean {', '.join(near)}? " if near else ""
        raise CommandError(Exit.USAGE, f"{text!r} is no SPDX licence expression", meant + MANY) from error
