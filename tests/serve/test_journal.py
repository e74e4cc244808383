"""What was acknowledged can be read again, whatever a kill left of the last record."""

import os

import pytest

from softrl.errors import CheckpointError
from softrl.serve import journal

RECORDS = [b"", b"a", b"push" * 1000, bytes(range(256))]


def written(directory, records=RECORDS, first=0) -> journal.Journal:
    log = journal.open_journal(directory, first)
    for record in records:
        journal.append(log, record)
    return log


def test_records_come_back_in_order_over_segments(tmp_path):
    journal.close(written(tmp_path))
    log = written(tmp_path)
    journal.begin(log)
    journal.append(log, b"last")
    assert list(journal.read(tmp_path, 0)) == [*RECORDS, *RECORDS, b"last"]
    assert list(journal.read(tmp_path, log.number)) == [b"last"]


def test_a_record_cut_anywhere_is_left_out_and_those_before_it_stay(tmp_path):
    log = written(tmp_path)
    whole, path = log.size, tmp_path / "0.journal"
    journal.append(log, b"cut off")
    data = path.read_bytes()
    for length in range(whole, len(data)):
        path.write_bytes(data[:length])
        assert list(journal.read(tmp_path, 0)) == RECORDS
    path.write_bytes(data)
    assert list(journal.read(tmp_path, 0))[-1] == b"cut off"


def test_a_flipped_bit_ends_a_segment(tmp_path):
    written(tmp_path)
    path = tmp_path / "0.journal"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert list(journal.read(tmp_path, 0)) == RECORDS[:-1]


def test_a_record_taken_back_is_gone_and_the_next_takes_its_place(tmp_path):
    log = written(tmp_path)
    before = log.size
    journal.append(log, b"refused")
    journal.take_back(log, before)
    journal.append(log, b"good")
    assert list(journal.read(tmp_path, 0)) == [*RECORDS, b"good"]


@pytest.mark.parametrize("sync", [False, True])
def test_only_a_synced_journal_waits_for_the_disk_at_every_record(tmp_path, monkeypatch, sync):
    log, synced, real = journal.open_journal(tmp_path, 0, sync=sync), [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(descriptor) or real(descriptor))
    for record in RECORDS:
        journal.append(log, record)
    assert synced == [log.descriptor] * (len(RECORDS) if sync else 0)
    assert list(journal.read(tmp_path, 0)) == RECORDS


def test_what_the_disk_would_not_keep_is_taken_back(tmp_path, monkeypatch):
    log = journal.open_journal(tmp_path, 0, sync=True)
    journal.append(log, b"kept")

    def refuse(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched, pytest.raises(CheckpointError, match="cannot write the journal"):
        patched.setattr(os, "fsync", refuse)
        journal.append(log, b"lost")
    journal.append(log, b"next")
    assert list(journal.read(tmp_path, 0)) == [b"kept", b"next"]


def test_a_full_disk_leaves_no_part_of_a_record(tmp_path, monkeypatch):
    log, real = written(tmp_path), os.write

    def full(descriptor, data):
        if len(data) < 5000:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:4999])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CheckpointError, match="no space left"):
        journal.append(log, b"x" * 6000)
    monkeypatch.undo()
    journal.append(log, b"after")
    assert list(journal.read(tmp_path, 0)) == [*RECORDS, b"after"]


def test_a_save_deletes_only_what_the_save_before_it_needs_no_more(tmp_path):
    log = written(tmp_path)
    journal.begin(log)
    journal.append(log, b"1")
    journal.begin(log)
    journal.begin(log)  # nothing was pushed in between
    journal.delete(log, before=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.journal", "2.journal"]
    journal.close(log)
    assert list(journal.read(tmp_path, 0)) == [b"1"]
    assert journal.open_journal(tmp_path, 0).number == 2
