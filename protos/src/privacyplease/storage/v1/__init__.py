"""The `privacyplease.storage.v1` contract, generated from `protos/privacyplease/storage/v1`."""
