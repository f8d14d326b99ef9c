//! What a figure shows of a data set: the task, the scores, and the colours.

use super::name::Name;

/// Red, green and blue.
pub type Colour = [u8; 3];

/// What a figure shows of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FigureTask {
    /// The dense task whose maps are drawn.
    pub task: Name,
    /// Names of the [`CaseScore`](super::CaseScore) metrics whose mean ranks the cases, each with its label below a panel.
    pub metrics: Vec<(Name, Name)>,
    /// How the maps are drawn.
    pub drawing: Drawing,
    /// Whether the figure shows only the part of a large picture that has the most labelled pixels.
    pub shows_detail: bool,
}

/// How the classes of a map are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// Outlines on the photograph. The panel of a prediction also has the outlines of the truth, as thin lines.
    Outlines {
        /// The parts that get an outline.
        parts: Vec<OutlinedClasses>,
        /// Colour of the truth's outlines on a prediction, and their label in the legend.
        truth: (Colour, Name),
    },
    /// Classes painted over the grey photograph; each kind of error has its own colour.
    Map(MapPalette),
}

/// All classes from `from` upwards as one outlined part, since, for example, an optic disc contains its cup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlinedClasses {
    /// The lowest class that belongs to the part.
    pub from: u8,
    /// The colour of the outline.
    pub colour: Colour,
    /// The label in the legend.
    pub label: Name,
}

/// Colours of classes and of errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapPalette {
    /// Class, colour and name of each class except the background, class 0.
    pub classes: Vec<(u8, Colour, Name)>,
    /// Colour and name of pixels whose true class was predicted as background.
    pub missed: (Colour, Name),
    /// Colour and name of background pixels for which another class was predicted.
    pub false_alarm: (Colour, Name),
    /// Colour and name of pixels that were predicted as a wrong class other than the background.
    pub confused: (Colour, Name),
    /// Class, colour and name of a true class for which every predicted class except the background is accepted, because the
    /// annotation leaves the kind open.
    pub undecided: Option<(u8, Colour, Name)>,
}
