"""Each contract alone, in an EVM in this process."""
