"""The trees and class names that come with nbdt; `nbdt.load_hierarchy` reads them by name."""
