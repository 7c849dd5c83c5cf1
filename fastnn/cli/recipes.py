"""`fastnn recipes`: the training set-ups that come with fastnn."""

from fastnn import recipes


def run(args) -> int:
    """Print the names and what each is for, or one as TOML."""
    if args.recipe is not None:
        print(recipes.text(args.recipe), end="")
        return 0
    width = max(map(len, recipes.names()))
    for name in recipes.names():
        print(f"{name:{width}}  {recipes.load(name).description}")
    return 0
