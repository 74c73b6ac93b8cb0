"""The collector: receive, decode, deliver, account."""
