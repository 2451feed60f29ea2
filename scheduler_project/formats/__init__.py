"""How Django writes dates where nobody tells it: settings.FORMAT_MODULE_PATH."""
