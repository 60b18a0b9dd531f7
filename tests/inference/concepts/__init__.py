"""Concepts: from segments to what a word leans on."""
