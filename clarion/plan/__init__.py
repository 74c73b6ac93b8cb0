"""How many instances, cores, octets of memory and buffer: numbers only."""
