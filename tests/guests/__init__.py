"""Machines for tests: a Debian kernel under QEMU with emulated cards, and the machine's own files as its root.

`packages` brings kernel and emulator from Debian, `initramfs` packs what the kernel boots from, `guest` runs a command.
"""
