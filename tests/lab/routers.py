"""What makes a router a NAT of a kind: rules of the kernel's packet filter, and a daemon for those that map on request.

The names are RFC 4787's: *mapping* is which public port a socket behind the router has (the same towards everybody:
endpoint-independent; a new one for each destination: symmetric), *filtering* is who may send to it. All filter by
address and port here, as home routers do: only who was sent to may answer.
"""

from __future__ import annotations

from enum import Enum

PORT = 4001  # where a peer in the laboratory listens


class Kind(Enum):
    """A router, by what it means for a peer behind it."""

    EASY = "endpoint-independent"
    REJECTING = "endpoint-independent, resets"  # strangers are told, instead of left waiting
    SYMMETRIC = "symmetric"
    FORWARDED = "port-forwarded"  # by hand, to the first machine behind it
    MAPPING = "UPnP, NAT-PMP, PCP"  # on request
    NO_UDP = "UDP-blocked"
    CARRIER = "carrier-grade"  # a home router of kind EASY behind a symmetric one of the provider's
    SHARED = "UPnP behind a carrier's"  # a home router of kind MAPPING behind such a one


MAPPING = (Kind.MAPPING, Kind.SHARED)
NESTED = (Kind.CARRIER, Kind.SHARED)


def rules(kind: Kind, lan: str) -> str:
    """For nft; `lan` is the first machine behind the router. The outer device is `wan`."""
    masquerade = "masquerade fully-random" if kind in (Kind.SYMMETRIC, *NESTED) else "masquerade"
    forwarded = f'iifname "wan" tcp dport {PORT} dnat ip to {lan}' if kind is Kind.FORWARDED else ""
    mapped = kind is Kind.MAPPING
    return f"""
table inet nat {{
    chain upnp_in {{ }}
    chain upnp_out {{ }}
    chain prerouting {{
        type nat hook prerouting priority -100;
        {forwarded}
        {"jump upnp_in" if mapped else ""}
    }}
    chain postrouting {{
        type nat hook postrouting priority 100;
        {"jump upnp_out" if mapped else ""}
        oifname "wan" meta nfproto ipv4 {masquerade}
    }}
}}
table inet filter {{
    chain upnp_forward {{ }}
    chain forward {{
        type filter hook forward priority 0; policy accept;
        {"meta l4proto udp drop" if kind is Kind.NO_UDP else ""}
        ct state established,related accept
        ct status dnat accept
        {"jump upnp_forward" if mapped else ""}
        iifname "wan" drop
    }}
    chain input {{
        type filter hook input priority 0; policy accept;
        ct state established,related accept
        icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept
        {'iifname "wan" meta l4proto tcp reject with tcp reset' if kind is Kind.REJECTING else ""}
        iifname "wan" drop
    }}
}}
"""


def miniupnpd(folder: str) -> str:
    """The configuration of a daemon that maps ports on request, by all three protocols, in the tables above."""
    return f"""
ext_ifname=wan
listening_ip=lan
port=0
enable_upnp=yes
enable_natpmp=yes
min_lifetime=60
max_lifetime=86400
secure_mode=yes
system_uptime=yes
notify_interval=30
uuid=3f0b9e6c-6d1c-4d0e-9f0b-2f3a6d3a0e01
lease_file={folder}/leases
upnp_table_name=filter
upnp_nat_table_name=nat
upnp_forward_chain=upnp_forward
upnp_nat_chain=upnp_in
upnp_nat_postrouting_chain=upnp_out
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""
