"""Upload a folder to the Hugging Face hub."""

from pathlib import Path

__all__ = ["upload"]


def upload(folder: Path, repo_id: str, *, what: str, private: bool | None = None) -> str:
    """Upload a folder in one commit, to a repository that is made if it is not there.

    Parameters
    ----------
    folder : Path
        What to upload.
    repo_id : str
        Such as ``"someone/oxide-elements"``.
    what : str
        What it holds, for the message of the commit.
    private : bool, optional
        Whether a repository that is made is private; by default as the hub has it.

    Returns
    -------
    str
        Address of the commit.
    """
    from huggingface_hub import HfApi

    hub = HfApi()
    repo_id = hub.create_repo(repo_id, private=private, exist_ok=True).repo_id
    return str(hub.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=f"Upload {what}"))
