"""Other people's formats and views."""
