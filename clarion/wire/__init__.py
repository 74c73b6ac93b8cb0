"""The pure codec: octets <-> columns. No I/O, clock, thread or log; numpy only."""
