"""A phone by adb."""
