"""The `privacyplease.proxy.v1` contract, generated from `protos/privacyplease/proxy/v1`."""
