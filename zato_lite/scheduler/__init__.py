"""DOING: the timetable in motion."""
