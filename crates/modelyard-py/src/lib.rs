//! modelyard-py
