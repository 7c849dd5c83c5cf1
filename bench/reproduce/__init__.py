"""The five starting systems, trained anew: as their authors did it, and as fastnn would."""
