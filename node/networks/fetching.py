"""A network file from the web: bounded in size, time and redirects, and over https unless it is this machine's own."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

import httpx
import trio

from wire.bounds import MAX_NETWORK_FILE
from wire.text import one_line

from ..bounds import FILE_REDIRECTS, FILE_SECONDS
from ..errors import CommandError, Exit


async def fetch_file(url: str) -> str:
    """The text at `url`; CommandError says why there is none."""
    try:
        with trio.fail_after(FILE_SECONDS):
            async with httpx.AsyncClient(trust_env=False, timeout=FILE_SECONDS) as client:
                for _ in range(FILE_REDIRECTS + 1):
                    answer = await _get(client, url)
                    if isinstance(answer, bytes):
                        return answer.decode().replace("\r\n", "\n")
                    if answer.startswith("http:") and url.startswith("https:"):
                        raise _failed(url, "it leads from https to http")
                    url = answer
        raise _failed(url, f"it leads on over {FILE_REDIRECTS} times")
    except trio.TooSlowError:
        raise _failed(url, f"it did not come within {FILE_SECONDS:.0f} s") from None
    except UnicodeDecodeError:
        raise _failed(url, "it is no text") from None
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, ValueError) as error:
        raise _failed(url, _why(error)) from error


async def _get(client: httpx.AsyncClient, url: str) -> bytes | str:
    """What stands there, or the URL that it leads to."""
    _check(url)
    async with client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
        if response.is_redirect:
            return urljoin(url, str(response.headers.get("Location", "")))
        if response.status_code != httpx.codes.OK:
            raise _failed(url, f"the server says {response.status_code} {response.reason_phrase}")
        data = bytearray()
        async for piece in response.aiter_raw():
            data += piece
            if len(data) > MAX_NETWORK_FILE:
                raise _failed(url, f"it has over {MAX_NETWORK_FILE} bytes")
        return bytes(data)


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname and _is_here(parts.hostname):
        return
    raise _failed(url, "only https URLs are taken, since anybody on the way could change what comes over http")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(error: BaseException) -> str:
    """The first reason in the chain that says anything: some libraries raise empty ones on top."""
    inner: BaseException | None = error
    while inner is not None:
        if said := str(inner):
            return said
        inner = inner.__cause__ or inner.__context__
    return type(error).__name__


def _failed(url: str, why: str) -> CommandError:
    said = one_line(f"the network file at {url} cannot be had: {why}")
    return CommandError(Exit.CONFIG, said, "Check the URL, or get the file another way: hallmark network add FILE")
