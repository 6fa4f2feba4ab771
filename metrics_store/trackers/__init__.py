"""Trackers for runners, in the shape of the legacy one."""
