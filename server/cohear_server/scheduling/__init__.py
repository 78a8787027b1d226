"""The engine's time: which windows are decoded next and together, what that costs, and how many streams fit."""
