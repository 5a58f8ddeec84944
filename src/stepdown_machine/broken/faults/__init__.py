"""The edits that break the toy, by the promise they break."""
