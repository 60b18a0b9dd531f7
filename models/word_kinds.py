"""Kinds of words: a word for an object has a place in the image, a function word has none."""

from functools import cache
from typing import Literal

from models.language import content_words, tokenize
from models.tag_kinds import tag_kinds

WordKind = Literal["object", "other", "function"]
"""`other` words are content words that name no object: verbs, attributes, numerals, sounds."""

_NOUNS = frozenset(
    tokenize(
        """
    man men woman women person people child children boy boys girl girls kid kids baby babies
    toddler toddlers adult adults teenager teenagers teenage guy guys lady ladies gentleman family
    couple crowd group audience spectators team teams player players runner runners rider riders
    skater skaters skateboarder skateboarders snowboarder snowboarders skier skiers surfer surfers
    swimmer swimmers biker bikers bicyclist bicyclists cyclist cyclists climber climbers hiker
    hikers worker workers officer police driver racer racers jockey jockeys dancer dancers singer
    musician musicians band clown goalie catcher pitcher batter referee wrestler wrestlers coach
    friends mother father bride groom passenger passengers pedestrian pedestrians fans
    hair face faces head heads mouth nose ear ears eye eyes beard teeth tongue neck shoulder
    shoulders arm arms hand hands finger fingers leg legs lap foot feet tail paw paws fur wings
    shirt shirts tshirt jacket jackets coat coats hat hats cap caps dress dresses suit suits
    uniform uniforms outfit outfits costume costumes clothes clothing pants jeans shorts skirt
    sweater scarf vest tie gloves shoe shoes boots sandals sunglasses glasses goggles helmet helmets
    headband bikini swimsuit swimsuits wetsuit trunks gear jersey jerseys robe apron necklace
    backpack backpacks bag bags purse luggage umbrella collar leash harness muzzle ribbon
    animal animals puppy pet herd dog dogs cat cats horse horses cow cows bird birds sheep bull
    giraffe giraffes elephant zebra bear duck fish
    grass lawn field fields meadow pasture ground dirt mud sand snow ice gravel rock rocks stone
    boulder cliff cliffs mountain mountains hill hills hillside slope desert canyon cave water ocean
    sea lake river creek stream waterfall puddle pond pool wave waves beach shore shoreline sky
    clouds cloud sun sunset tree trees branch branches trunk log logs leaves bush bushes plants
    plant flower flowers garden park forest woods path trail sidewalk road street streets track
    tracks highway intersection crosswalk curb runway tarmac railroad yard backyard playground
    court course stadium arena rink rapids fire smoke shadow reflection light lights rain
    city town house houses home building buildings wall walls fence gate bridge tower tunnel stairs
    steps step staircase railing rail rails handrail ramp ramps dock pier deck porch balcony patio
    roof window windows door doors doorway floor ceiling room kitchen bathroom bedroom office
    hallway restaurant store shop market bar church school library museum station airport hotel
    stage fountain statue sculpture pole sign signs post hydrant bench benches graffiti mural
    table tables chair chairs couch sofa bed desk counter shelf shelves mirror lamp sink toilet tub
    bathtub shower oven stove refrigerator cabinet carpet rug blanket curtain pillow towel
    ball balls football baseball basketball volleyball rugby frisbee disc bat racket racquet net
    goal hoop kite kites skateboard skateboards snowboard snowboards surfboard surfboards ski skis
    sled raft kayak canoe boat boats ship sail paddle oar bike bikes bicycle bicycles motorcycle
    motorcycles motorbike scooter car cars truck trucks bus buses train trains plane airplane
    helicopter vehicle tractor cart wagon stroller wheelchair wheel wheels tire tires engine
    swing swings slide trampoline seesaw rope hurdle obstacle tent toy toys doll balloon balloons
    bubbles stick sticks flag flags hula equipment machine parade rodeo carnival
    camera microphone guitar guitars drums drum violin piano instrument instruments phone
    cellphone telephone laptop computer keyboard screen television tv remote video book books
    newspaper magazine paper poster clock vase painting
    cup glass bottle mug bowl plate dish fork spoon knife food meal cake pizza sandwich bread
    cheese fruit fruits apple banana salad vegetables donut drink coffee tea
    beer wine juice candle candles box basket bucket container suitcase suitcases cigarette wood
    brick cement hose sprinkler board boards onlookers seat object objects
    """
    )
)
"""People, their bodies and clothes, animals, landscapes, buildings and things that occur in
captions of photographs. Words of tags are objects too."""

_COLOURS = frozenset({"orange"})
"""Words of tags that captions use for the colour rather than the object."""


def word_kind(word: str) -> WordKind:
    """Return the kind of a caption's word, in lower case; unknown content words are `other`."""
    if word in _objects():
        return "object"
    return "other" if content_words(word) else "function"


@cache
def _objects() -> frozenset[str]:
    tagged = {word for kind in tag_kinds() for word in kind.words if " " not in word}
    return (_NOUNS | tagged) - _COLOURS
