//! `modelyard openapi`

use super::output;
use crate::failure::Failure;

pub(super) fn run() -> Result<(), Failure> {
    output::print_value(&gateway::openapi::document())
}
