"""What every call passes through: authentication, admission, deadlines, request fields, statuses."""
