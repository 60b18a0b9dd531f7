"""Tests of how faithfulness is measured."""
