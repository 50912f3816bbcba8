"""Amazon SES: what is said to it, and what it tells of mails."""
