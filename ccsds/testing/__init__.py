"""For tests of users and ours: published vectors, hypothesis strategies, damaged links."""
