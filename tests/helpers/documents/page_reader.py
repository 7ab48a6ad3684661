"""The tags and words of a page, whose tags must close in order."""
import html.parser


class Reader(html.parser.HTMLParser):
    """Collects (tag, attributes) and text, and holds that what is opened is closed in order."""

    VOID = ('meta', 'img', 'br')

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())

    def all(self, wanted):
        return [attributes for tag, attributes in self.tags if tag == wanted]
