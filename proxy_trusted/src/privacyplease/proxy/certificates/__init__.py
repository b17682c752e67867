"""Certificate authorities, what they certify, and the credentials of this process."""
