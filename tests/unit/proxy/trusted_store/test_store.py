"""The trusted store: many writers, one at a time."""

from __future__ import annotations

import threading

from sqlalchemy import Engine, select, update

from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import master_keys


def test_a_transaction_that_locks_first_is_not_refused_for_a_concurrent_write(store: Engine) -> None:
    with writing(store) as connection:
        connection.execute(master_keys.insert(), {"one": 1, "folder": "0"})
    failed: list[Exception] = []

    def count() -> None:
        try:
            for _ in range(50):
                with writing(store) as connection:
                    number = int(connection.scalar(select(master_keys.c.folder)) or 0)
                    connection.execute(update(master_keys).values(folder=str(number + 1)))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with store.connect() as connection:
        assert connection.scalar(select(master_keys.c.folder)) == "200"
