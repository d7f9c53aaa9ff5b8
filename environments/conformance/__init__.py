"""Does an environment keep its promises?"""
