"""Certificate authorities, the certificates they issue, and the credentials of this process."""
