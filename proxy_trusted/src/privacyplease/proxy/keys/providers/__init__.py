"""Holders of the master key other than a file with a passphrase: an HSM, Vault or OpenBao, AWS KMS.

Each provider is a `MasterKey` in a module of its own, needs an extra of the distribution, and is chosen by a text:

=============================================================  ================================  =========
text                                                           who holds the key                 extra
=============================================================  ================================  =========
``passphrase``                                                 `master.key` in the home
``pkcs11:token=T;object=O?module-path=/path/module.so``        an HSM (RFC 7512)                 `pkcs11`
``vault:https://host:8200/transit/keys/NAME``                  Vault or OpenBao, engine transit  `vault`
``aws-kms:arn:aws:kms:eu-central-1:111122223333:key/ID``       AWS KMS                           `aws`
=============================================================  ================================  =========

PINs and tokens come from the environment or from files; the text contains none and may be shown.
"""

from privacyplease.proxy.keys.providers.choice import PASSPHRASE, check, open_epoch_keys, open_master_key

__all__ = ["PASSPHRASE", "check", "open_epoch_keys", "open_master_key"]
