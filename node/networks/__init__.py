"""Network files that come from others: added by their user, and replaced by newer ones that their publisher signed.

`rules` decides what may follow what, `archive` keeps signed files as they came, `adding` is `hallmark network add`,
and `updating` is a running peer that asks for newer ones and gives its own.
"""
