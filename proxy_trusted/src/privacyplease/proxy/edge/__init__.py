"""What every call passes: identity, admission, deadlines, fields, statuses."""
