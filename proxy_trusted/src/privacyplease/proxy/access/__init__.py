"""Who may ask what: the policy, the rules of every rpc, and the guard that holds callers to them."""
