"""Meta's WhatsApp Cloud API: what comes in, what goes out, what its errors mean. Knows no SQL."""
