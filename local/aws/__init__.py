"""S3, Secrets Manager and KMS by moto, with what they hold kept in files.

moto keeps everything in memory. Here each change is written through before its caller gets an
answer, so that a killed run loses nothing: objects one file each, secrets and key material in one
file each. Kept are the current versions; what only AWS needs (policies, encryption, versions of
objects, keys made by API instead of by the template) is not.
"""
