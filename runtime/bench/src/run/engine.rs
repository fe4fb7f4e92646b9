//! What is timed.

/// Something that turns images into results, one at a time, in three steps that are timed apart.
pub trait Engine {
    /// Why a step fails.
    type Error;

    /// Brings the next image into the form that the model takes.
    ///
    /// # Errors
    /// Whatever fails; the run ends there.
    fn preprocess(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Runs the model on it.
    ///
    /// # Errors
    /// Whatever fails; the run ends there.
    fn infer(&mut self) -> Result<(), Self::Error>;

    /// Turns what the model gave into a result.
    ///
    /// # Errors
    /// Whatever fails; the run ends there.
    fn postprocess(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
