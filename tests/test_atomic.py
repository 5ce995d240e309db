"""Files and folders that appear whole or not at all."""

import hashlib

import pytest

from matembed._atomic import sha256_of, whole_file, whole_folder


def names(folder):
    return sorted(found.name for found in folder.iterdir())


def test_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with whole_file(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
        assert partial.parent == path.parent  # the same disk, so that renaming is one step
    assert path.read_text() == "whole"
    assert names(path.parent) == ["file.txt"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_failed_file_leaves_what_was_there(failure, tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(failure), whole_file(path) as partial:
        partial.write_text("half")
        raise failure
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_file_is_replaced(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with whole_file(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"


def test_folder_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "deep" / "folder"
    with whole_folder(path) as partial:
        (partial / "a").write_text("1")
        assert not path.exists()
        assert partial.parent == path.parent
    assert names(path) == ["a"]
    assert names(path.parent) == ["folder"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("there", [False, True])
def test_failed_folder_leaves_what_was_there(failure, there, tmp_path):
    path = tmp_path / "folder"
    if there:
        path.mkdir()
        (path / "old").touch()
    with pytest.raises(failure), whole_folder(path, overwrite=True) as partial:
        (partial / "half").touch()
        raise failure
    assert names(tmp_path) == (["folder"] if there else [])
    assert not there or names(path) == ["old"]


def test_folder_is_replaced_whole_and_only_when_asked(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(FileExistsError, match="overwrite=True"), whole_folder(path):
        pytest.fail("the block must not run")
    with whole_folder(path, overwrite=True) as partial:
        (partial / "new").touch()
        assert names(path) == ["old"]
    assert names(path) == ["new"]
    assert names(tmp_path) == ["folder"]


def test_an_empty_folder_is_no_obstacle_and_a_file_is(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    with whole_folder(path) as partial:
        (partial / "new").touch()
    assert names(path) == ["new"]
    file = tmp_path / "file"
    file.write_text("text")
    with pytest.raises(FileExistsError), whole_folder(file):
        pytest.fail("the block must not run")
    with whole_folder(file, overwrite=True) as partial:
        (partial / "new").touch()
    assert names(file) == ["new"]


def test_sha256_is_that_of_hashlib(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"matter" * 100_000)
    assert sha256_of(path) == hashlib.sha256(b"matter" * 100_000).hexdigest()
