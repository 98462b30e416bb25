"""The C++ program that runs artifacts on a phone."""
